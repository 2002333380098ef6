import { connect } from '/kalamdb/kalamdb.js';

const $ = (id) => document.getElementById(id);

// Our own backend says who we are, and gives tokens for the database.
async function identity() {
  const r = await fetch('/token');
  return r.ok ? r.json() : null;
}

$('login').onsubmit = async (e) => {
  e.preventDefault();
  const { user, password } = e.target.elements;
  const r = await fetch('/login', { method: 'POST', body: JSON.stringify({ user: user.value, password: password.value }) });
  if (!r.ok) return say(await r.text());
  start().catch(say);
};

start().catch(say);

async function start() {
  const me = await identity();
  $('login').hidden = Boolean(me);
  if (!me) return say('Sign in to chat.');

  let last = { at: Date.now(), token: me.token };
  const token = async (refresh) => {
    if (refresh || Date.now() - last.at > 3 * 60_000) {
      const now = await identity();
      if (!now) throw new Error('you are signed out; load the page again');
      last = { at: Date.now(), token: now.token };
    }
    return last.token;
  };
  const db = await connect(me.database, { token, namespace: 'chat' });
  // A new token now and then also tells our agent that we are still here.
  setInterval(() => token(false).catch(say), 60_000);

  $('ask').onsubmit = (e) => {
    e.preventDefault();
    const input = e.target.elements.body;
    const body = input.value;
    input.value = '';
    // Nothing is drawn here: the message comes back as a change like any other.
    db.query("INSERT INTO messages (author, body) VALUES ('user', $1)", [body]).catch((err) => {
      input.value = body;
      say(err);
    });
  };
  $('chat').hidden = false;
  say(`You are ${me.user}.`);
  watch(db, 'SELECT * FROM messages', 50, me, showMessage).catch(say);
  watch(db, 'SELECT * FROM tokens', -1, me, showToken).catch(say);
}

// watch shows the newest rows of a query and every row that comes, also over
// lost connections.
async function watch(db, sql, lastRows, me, show) {
  const sub = await db.subscribe(sql, { lastRows });
  for await (const e of sub) {
    if (e.kind === 'initial' || e.kind === 'insert') show(e.row);
    if (e.kind === 'reconnecting') say('The connection is lost; trying again.');
    if (e.kind === 'reconnected' || e.kind === 'resynced') say(`You are ${me.user}.`);
  }
}

const tokens = new Map(); // by question: the tokens of an answer that is being typed
const finished = new Set(); // questions whose whole answer is here

function showToken(row) {
  const key = String(row.answers);
  if (finished.has(key)) return;
  if (!tokens.has(key)) tokens.set(key, []);
  tokens.get(key)[row.n] = row.token;
  const li = bubble(`typing-${key}`, 'agent typing');
  li.textContent = tokens.get(key).join('');
}

function showMessage(row) {
  if (row.answers !== null) {
    const key = String(row.answers);
    finished.add(key);
    tokens.delete(key);
    $(`typing-${key}`)?.remove();
  }
  const li = bubble(`message-${row.id}`, row.author === 'user' ? 'user' : 'agent');
  li.textContent = row.body;
  li.dataset.id = String(row.id);
  // Ids grow with time; the newest rows may come in any order.
  const later = [...$('messages').children].find((other) => other.dataset.id && BigInt(other.dataset.id) > BigInt(li.dataset.id));
  if (later) $('messages').insertBefore(li, later);
}

function bubble(id, className) {
  let li = $(id);
  if (!li) {
    li = document.createElement('li');
    li.id = id;
    $('messages').append(li);
  }
  li.className = className;
  li.scrollIntoView({ block: 'nearest' });
  return li;
}

function say(what) {
  $('state').textContent = String(what?.message ?? what);
}
