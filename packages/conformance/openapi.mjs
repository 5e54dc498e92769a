#!/usr/bin/env node
// Validates an OpenAPI 3.1 document: against the official schema, and what a schema cannot see.

import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { Validator } from '@seriousme/openapi-schema-validator';

const USAGE = `Validates an OpenAPI 3.1 document (JSON or YAML).

Usage
  node openapi.mjs <file or http(s) URL>

Checks the official schema of OpenAPI 3.1, that every local $ref has a target, that operation ids are unique, and that
the parameters in a path are declared. Exit code: 0 valid, 1 errors (listed), 2 the document cannot be read.
`;

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

/** @returns {Promise<string[]>} the errors, empty for a valid document */
export async function validateOpenApi(text) {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(`${text}\n`); // a text of one line would be taken for a file name
  if (!valid) {
    // Without a list it is one text: a dangling reference, or no OpenAPI document at all.
    const list = Array.isArray(errors) ? errors : [{ message: String(errors) }];
    return [...new Set(list.map(({ instancePath, message, params }) => {
      const extra = params?.unevaluatedProperty ?? params?.additionalProperty;
      return `${instancePath || '/'}: ${message}${extra ? ` (${extra})` : ''}`;
    }))];
  }
  if (validator.version !== '3.1') return [`/openapi: the document is OpenAPI ${validator.version}, not 3.1`];
  return operationErrors(validator.resolveRefs());
}

/** `document`: without references. */
function operationErrors(document) {
  const errors = [];
  const seen = new Map();
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const method of METHODS.filter((name) => item[name])) {
      const where = `${method.toUpperCase()} ${path}`;
      const { operationId, parameters = [] } = item[method];
      if (operationId !== undefined && seen.has(operationId)) {
        errors.push(`${where}: operationId ${operationId} is also that of ${seen.get(operationId)}`);
      }
      seen.set(operationId, where);

      const declared = [...(item.parameters ?? []), ...parameters]
        .filter((parameter) => parameter.in === 'path')
        .map((parameter) => parameter.name);
      const used = [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]);
      errors.push(
        ...used.filter((name) => !declared.includes(name)).map((name) => `${where}: {${name}} is not declared`),
        ...declared.filter((name) => !used.includes(name)).map((name) => `${where}: ${name} is not in the path`),
      );
    }
  }
  return errors;
}

async function readDocument(source) {
  if (!/^https?:\/\//.test(source)) return readFile(source, 'utf8');
  const response = await fetch(source);
  if (!response.ok) throw new Error(`GET ${source} was answered with ${response.status}`);
  return response.text();
}

async function main(args) {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(USAGE);
    return 0;
  }
  if (args.length !== 1) {
    console.error(USAGE);
    return 2;
  }
  const [source] = args;
  let text;
  try {
    text = await readDocument(source);
  } catch (error) {
    console.error(`cannot read ${source}: ${error.cause?.message ?? error.message}`);
    return 2;
  }
  const errors = await validateOpenApi(text);
  for (const error of errors) console.log(error);
  console.log(errors.length === 0 ? `${source} is a valid OpenAPI 3.1 document` : `${errors.length} errors in ${source}`);
  return errors.length === 0 ? 0 : 1;
}

if (process.argv[1] && realpathSync(process.argv[1]) === import.meta.filename) {
  process.exitCode = await main(process.argv.slice(2));
}
