import { connect } from '../kalamdb.js';
import { scenario } from './scenario.mjs';

const controller = process.argv[2];
const post = async (path, body) => {
  const r = await fetch(controller + path, { method: 'POST', body: JSON.stringify(body) });
  if (!r.ok) throw new Error(await r.text());
  return r.json();
};

try {
  await scenario({ connect, config: await post('/config', {}), step: (name, args) => post(`/step/${name}`, args) });
  process.exit(0);
} catch (err) {
  console.error(err);
  process.exit(1);
}
