// What the client does in every JavaScript environment, against a real server.
// step asks the test's controller to do something from outside.

function equal(got, want, what) {
  const text = (v) => JSON.stringify(v, (_, x) => (typeof x === 'bigint' ? `${x}n` : x));
  if (text(got) !== text(want)) throw new Error(`${what}: got ${text(got)}, want ${text(want)}`);
}

async function refused(promise, want, what) {
  try {
    await promise;
  } catch (err) {
    for (const [k, v] of Object.entries(want)) equal(err[k], v, `${what}: ${k}`);
    return err;
  }
  throw new Error(`${what}: it was not refused`);
}

// rows reads events until n rows came and gives them as kind and id.
async function rows(sub, n, also = () => {}) {
  const got = [];
  while (got.length < n) {
    const { value, done } = await sub.next();
    if (done) throw new Error(`the subscription ended after ${JSON.stringify(got)}`);
    also(value);
    if (value.row) got.push(`${value.kind} ${value.row.id}`);
  }
  return got;
}

export async function scenario({ connect, config, step }) {
  await queries(connect, config);
  await subscriptions(connect, config, step);
}

async function queries(connect, config) {
  let asked = 0;
  const db = await connect(config.url, { token: () => (asked++, config.token), namespace: config.namespace });
  equal((await db.health()).status, 'healthy', 'health');

  const [created, inserted] = await db.execute(
    'CREATE USER TABLE facts (id BIGINT PRIMARY KEY, price DECIMAL(10,2), body JSON, data BYTES, at TIMESTAMP, ok BOOLEAN, note TEXT); ' +
      "INSERT INTO facts VALUES (1, '1.50', '{\"a\":[1]}', NULL, '2025-10-21T00:00:00Z', true, 'é \"quoted\"')");
  equal([created.rowCount, inserted.rowCount], [0, 1], 'counts');
  const large = 9007199254740993n;
  await db.execute('INSERT INTO facts VALUES ($1, $2, $3, $4, $5, $6, $7)',
    [large, '2.25', { b: 'x' }, new Uint8Array([1, 2, 255]), new Date(Date.UTC(2025, 0, 2)), false, null]);
  equal(await db.query('SELECT id, price, body, data, at, ok, note FROM facts ORDER BY id'), [
    { id: 1, price: '1.50', body: { a: [1] }, data: null, at: '2025-10-21T00:00:00.000000Z', ok: true, note: 'é "quoted"' },
    { id: large, price: '2.25', body: { b: 'x' }, data: 'AQL/', at: '2025-01-02T00:00:00.000000Z', ok: false, note: null },
  ], 'rows');
  equal(await db.query('SELECT count(*) AS n FROM facts WHERE id = $1', [large]), [{ n: 1 }], 'a parameter keeps its digits');
  equal(await db.query('SELECT $1 AS x, $2 AS y', [1.5, undefined]), [{ x: '1.5', y: null }], 'numbers and nothing');
  if (asked < 4) throw new Error(`the token was asked for ${asked} times`);

  const err = await refused(db.query('SELECT *\nFROM facts WHERE nope = 1'), { kind: 'server', code: 'COLUMN_NOT_FOUND', line: 2 }, 'an unknown column');
  equal([err.name, err instanceof Error], ['KalamError', true], 'errors are errors');
  await refused(db.execute("INSERT INTO facts (id) VALUES (1)"), { kind: 'server', sqlstate: '23505' }, 'a key twice');
  await refused(db.query('SELECT $1', []), { code: 'PARAMETER_MISMATCH' }, 'a parameter missing');
  await refused(connect(config.url, { token: 'not a token' }), { kind: 'server', code: 'UNAUTHENTICATED' }, 'a forged token');
  await refused(connect(config.url, { token: () => { throw new Error('no token today'); } }), { kind: 'client' }, 'a token source that fails');
  await refused(connect('http://127.0.0.1:9', { timeoutMs: 5000 }), { kind: 'transport' }, 'nobody there');
  db.close();
  await refused(db.query('SELECT 1'), { kind: 'closed' }, 'a closed client');
}

async function subscriptions(connect, config, step) {
  const db = await connect(config.url, { token: config.token, namespace: config.namespace });
  await refused(db.subscribe('SELECT count(*) FROM messages'), { kind: 'server' }, 'an aggregate has no live query');

  await db.execute("INSERT INTO messages VALUES (1, 'go', 'one'), (2, 'js', 'other room')");
  const sub = await db.subscribe('SELECT id, body FROM messages WHERE room = $1', { params: ['go'], lastRows: 10 });
  equal((await sub.next()).value.kind, 'ready', 'the first event');
  equal(await rows(sub, 1), ['initial 1'], 'initial rows');
  await db.execute("INSERT INTO messages VALUES (3, 'go', 'three'); UPDATE messages SET body = 'ONE' WHERE id = 1; UPDATE messages SET room = 'js' WHERE id = 3");
  let old;
  equal(await rows(sub, 3, (e) => { if (e.kind === 'update') old = e.old.body; }), ['insert 3', 'update 1', 'delete 3'], 'changes');
  equal(old, 'one', 'the old row');

  // The server is killed and comes back; rows come in between.
  await step('restart', { insert: [4, 5] });
  const told = [];
  equal((await rows(sub, 2, (e) => { if (!e.row) told.push(e.kind); })).sort(), ['insert 4', 'insert 5'], 'after a restart');
  if (!told.includes('reconnecting') || !told.includes('reconnected')) throw new Error(`the restart was not told of: ${told}`);
  await step('insert', { insert: [6] });
  equal(await rows(sub, 1), ['insert 6'], 'each once');

  // A page that is loaded again goes on where it was.
  const seq = await sub.seq();
  sub.close();
  equal((await sub.next()).done, true, 'a closed subscription');
  await step('insert', { insert: [7] });
  const again = await db.subscribe("SELECT id, body FROM messages WHERE room = 'go'", { fromSeq: seq });
  for await (const e of again) {
    if (!e.row) continue;
    equal([e.kind, e.row.id, e.row.body], ['insert', 7, 'from outside'], 'resumed');
    break; // which closes it
  }
  equal((await again.next()).done, true, 'a loop that was left');
  db.close();
}
