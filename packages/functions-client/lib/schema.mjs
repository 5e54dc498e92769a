// The classes that scripts of the corpus use.

const fields = (types) => Object.fromEntries(Object.entries(types).map(([name, type], order) => [name, { name, type, order }]));

export const SCHEMA = [
  {
    class: '/db/Todo',
    fields: fields({
      name: '/db/String', done: '/db/Boolean', prio: '/db/Integer', weight: '/db/Double', due: '/db/DateTime', day: '/db/Date',
      at: '/db/Time', place: '/db/GeoPoint', info: '/db/JsonObject', list: '/db/JsonArray', picture: '/db/File', next: '/db/Todo',
      owner: '/db/User', address: '/db/Address', tags: '/db/collection.Set[/db/String]', names: '/db/collection.List[/db/String]',
      votes: '/db/collection.Map[/db/String,/db/Integer]', friends: '/db/collection.List[/db/Todo]',
      fans: '/db/collection.Set[/db/Todo]', pairs: '/db/collection.Map[/db/Todo,/db/Todo]',
      days: '/db/collection.List[/db/Date]', moments: '/db/collection.Set[/db/DateTime]', homes: '/db/collection.List[/db/Address]',
    }),
  },
  { class: '/db/Address', embedded: true, fields: fields({ zip: '/db/Integer', street: '/db/String', tenant: '/db/Todo', since: '/db/DateTime' }) },
  { class: '/db/Task', superClass: '/db/Todo', fields: fields({ steps: '/db/Integer', parent: '/db/Todo' }) },
  { class: '/db/my.shop.Item', fields: fields({ price: '/db/Double', todo: '/db/Todo' }) },
];
