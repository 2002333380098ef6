/** A value of a row. Whole numbers that a number does not hold are bigint; DECIMAL, TIMESTAMP, DATE, TIME, UUID and INTERVAL are text, BYTES base64 text. */
export type Value = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Row = Record<string, Value>;

/** A value for $1, $2, …; objects are sent as JSON, bytes for BYTES. */
export type Param = Value | undefined | Date | ArrayBuffer | ArrayBufferView;

export interface ConnectOptions {
  /** The user that requests act for. */
  user?: string;
  /** A JSON Web Token, or a function that gives one; refresh is true when the server says that the last has expired. */
  token?: string | ((refresh: boolean) => string | Promise<string>);
  apiKey?: string;
  /** Where unqualified table names are looked up. */
  namespace?: string;
  /** The name of the session on the server. */
  session?: string;
  /** How long to wait for the beginning of an answer. Default one minute. */
  timeoutMs?: number;
  /** Where kalamdb.wasm is, or its bytes; only the first call's counts. Default: dist/kalamdb.wasm beside this module. */
  wasm?: string | URL | BufferSource | WebAssembly.Module;
}

export interface Column {
  name: string;
  type: string;
}

export interface Result<T = Row> {
  columns: Column[];
  rows: T[];
  /** Rows given, or rows changed. */
  rowCount: number;
  message: string;
}

export interface SubscribeOptions {
  params?: Param[];
  /** Ask for the newest n matching rows first; -1: all. */
  lastRows?: number;
  /** Start behind a commit sequence that was kept from Subscription.seq(). */
  fromSeq?: bigint | string;
  /** How many events may wait to be read before onSlow applies. Default 4096. */
  buffer?: number;
  onSlow?: 'resync' | 'close';
  /** Whether a lost connection is made again. Default true. */
  autoReconnect?: boolean;
}

export type EventKind =
  | 'initial' | 'insert' | 'update' | 'delete'
  | 'ready' | 'loaded' | 'schema' | 'reconnecting' | 'reconnected' | 'resynced';

export interface Event<T = Row> {
  kind: EventKind;
  /** The row of initial, insert, update and delete. */
  row?: T;
  /** The row before an update or delete. */
  old?: T;
  /** The commit sequence of the change. */
  seq?: bigint;
  /** When the change was committed. */
  time?: Date;
  /** The change happened while the connection was lost. */
  catchUp?: boolean;
  /** The change stands for several that were not read fast enough. */
  resync?: boolean;
  /** The columns (ready, schema). */
  columns?: Column[];
  /** Why the connection was lost (reconnecting). */
  error?: string;
  attempt?: number;
}

export interface Health {
  status: string;
  version: string;
  [key: string]: Json;
}

/** What a promise is rejected with. */
export class KalamError extends Error {
  /** server: it answered with an error; transport: it was not reached; protocol: that was no KalamDB; closed: the server ended the subscription. */
  kind: 'server' | 'transport' | 'protocol' | 'closed' | 'client';
  code?: string;
  sqlstate?: string;
  details?: string;
  hint?: string;
  statement?: number;
  line?: number;
  column?: number;
  id?: string;
  status?: number;
  retryAfterMs?: number;
}

export function connect(url: string, options?: ConnectOptions): Promise<Client>;

export class Client {
  private constructor();
  query<T = Row>(sql: string, params?: Param[]): Promise<T[]>;
  execute<T = Row>(sql: string, params?: Param[]): Promise<Result<T>[]>;
  subscribe<T = Row>(sql: string, options?: SubscribeOptions): Promise<Subscription<T>>;
  health(): Promise<Health>;
  close(): void;
}

export class Subscription<T = Row> implements AsyncIterableIterator<Event<T>> {
  private constructor();
  next(): Promise<IteratorResult<Event<T>>>;
  return(): Promise<IteratorResult<Event<T>>>;
  seq(): Promise<bigint>;
  close(): void;
  [Symbol.asyncIterator](): this;
}
