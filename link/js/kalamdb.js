// The JavaScript client of KalamDB: queries, and live queries that survive the
// network. It is the Go client, compiled to WebAssembly, with promises and
// async iterators around it. Types are in kalamdb.d.ts.

/** An error of the server, the network or the client. */
export class KalamError extends Error {
  constructor(failure) {
    super(failure.code ? `${failure.code}: ${failure.message}` : failure.message);
    this.name = 'KalamError';
    Object.assign(this, failure, { message: this.message });
  }
}

const rethrow = (reason) => {
  throw typeof reason === 'string' ? new KalamError(JSON.parse(reason)) : reason;
};

let program; // a promise of the connect function, once for all clients

async function start(wasm) {
  if (!globalThis.Go) await import('./dist/wasm_exec.js');
  const source = wasm ?? new URL('./dist/kalamdb.wasm', import.meta.url);
  const go = new globalThis.Go();
  const { instance } = await instantiate(source, go.importObject);
  const name = `kalamdb_${Math.random().toString(36).slice(2)}`;
  go.argv = ['kalamdb', name];
  return new Promise((resolve, reject) => {
    globalThis[name] = (connect) => {
      delete globalThis[name];
      resolve(connect);
    };
    // Go's net/http uses fetch unless the program's name is node.
    const process = globalThis.process;
    if (process) globalThis.process = Object.create(process, { argv0: { value: 'kalamdb' } });
    go.run(instance).then(() => reject(new Error('the client has ended')), reject);
    if (process) globalThis.process = process;
  });
}

async function instantiate(source, imports) {
  if (source instanceof WebAssembly.Module) return { instance: await WebAssembly.instantiate(source, imports) };
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.instantiate(source, imports);
  const url = new URL(source, import.meta.url);
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return WebAssembly.instantiate(await readFile(url), imports);
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`load ${url}: ${response.status} ${response.statusText}`);
  if (response.headers.get('Content-Type')?.startsWith('application/wasm')) return WebAssembly.instantiateStreaming(response, imports);
  return WebAssembly.instantiate(await response.arrayBuffer(), imports);
}

/** Connects to a server and checks that it answers and takes the credentials. */
export async function connect(url, options = {}) {
  const { wasm, token, ...rest } = options;
  program ??= start(wasm);
  let open;
  try {
    open = await program;
  } catch (err) {
    program = undefined; // so that a later call may succeed
    throw err;
  }
  const source = typeof token === 'function' ? async (refresh) => String(await token(refresh)) : undefined;
  if (typeof token === 'string') rest.token = token;
  return new Client(await open(url, JSON.stringify(rest), source).catch(rethrow));
}

/** A client of one server, on behalf of one user. */
export class Client {
  #go;

  constructor(go) {
    this.#go = go;
  }

  #open() {
    if (!this.#go) throw new KalamError({ kind: 'closed', message: 'the client is closed' });
    return this.#go;
  }

  /** Runs statements and gives a result for each. */
  async execute(sql, params = []) {
    const results = JSON.parse(await this.#open().execute(sql, encode(params)).catch(rethrow));
    for (const r of results) for (const row of r.rows) big(row, r.columns);
    return results;
  }

  /** Runs a statement and gives its rows; of several, the last one's. */
  async query(sql, params = []) {
    const results = await this.execute(sql, params);
    return results.length ? results[results.length - 1].rows : [];
  }

  /** Starts a live query; when it resolves, no later change is missed. */
  async subscribe(sql, { params = [], fromSeq, ...options } = {}) {
    const o = { ...options, fromSeq: fromSeq === undefined ? undefined : String(fromSeq) };
    return new Subscription(await this.#open().subscribe(sql, encode(params), JSON.stringify(o)).catch(rethrow));
  }

  /** What the server says of itself. */
  async health() {
    return JSON.parse(await this.#open().health().catch(rethrow));
  }

  /** Ends all subscriptions and frees what the client holds. */
  close() {
    this.#go?.close();
    this.#go = undefined;
  }
}

/** A live query: an async iterator of its events. */
export class Subscription {
  #go;

  constructor(go) {
    this.#go = go;
  }

  /** Waits for the next event; after close there is none. */
  async next() {
    const go = this.#go;
    if (!go) return { done: true, value: undefined };
    try {
      const event = JSON.parse(await go.next());
      if (event.time) event.time = new Date(event.time);
      if (event.seq) event.seq = BigInt(event.seq);
      if (event.row) big(event.row, event.columns);
      if (event.old) big(event.old, event.columns);
      if (event.row) delete event.columns;
      return { done: false, value: event };
    } catch (reason) {
      if (!this.#go) return { done: true, value: undefined };
      return rethrow(reason);
    }
  }

  /** The commit sequence up to which everything was received, for fromSeq. */
  async seq() {
    if (!this.#go) throw new KalamError({ kind: 'closed', message: 'the subscription is closed' });
    return BigInt(await this.#go.seq());
  }

  /** Ends the live query on the server. */
  close() {
    this.#go?.close();
    this.#go = undefined;
  }

  /** Ends the live query when a for await loop is left. */
  async return() {
    this.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

// encode writes parameters as JSON with all digits of whole numbers.
function encode(params) {
  return `[${params.map(encodeOne).join(',')}]`;
}

function encodeOne(v) {
  switch (typeof v) {
    case 'undefined':
      return 'null';
    case 'bigint':
      return v.toString();
    case 'number':
      return Number.isFinite(v) ? String(v) : JSON.stringify(String(v));
    case 'string':
    case 'boolean':
      return JSON.stringify(v);
  }
  if (v === null) return 'null';
  if (v instanceof Date) return JSON.stringify(v.toISOString());
  if (v instanceof ArrayBuffer) v = new Uint8Array(v);
  if (ArrayBuffer.isView(v)) {
    let text = '';
    for (const b of new Uint8Array(v.buffer, v.byteOffset, v.byteLength)) text += String.fromCharCode(b);
    return JSON.stringify(btoa(text));
  }
  return JSON.stringify(JSON.stringify(v)); // a JSON value
}

// big makes BigInts of the whole numbers that came as text.
function big(row, columns) {
  for (const c of columns) if (c.type === 'BIGINT' && typeof row[c.name] === 'string') row[c.name] = BigInt(row[c.name]);
}
