// npm install fastify track-usage, then: node main.js
import fastify from 'fastify';
import { sumRoutes, sumStatus, TrackUsage } from 'track-usage';
import { trackUsage } from 'track-usage/fastify';
import { SqliteStorage } from 'track-usage/sqlite';

const { PORT = '3000', HOST = '127.0.0.1' } = process.env;

const usage = new TrackUsage(null, new SqliteStorage('usage.db', { hooks: [sumRoutes, sumStatus] }));

const app = fastify();
// Awaited, so that later routes can be marked.
await app.register(trackUsage, { usage });
app.addHook('onClose', () => usage.close());

app.get('/', async () => 'Hello!');

async function users(instance) {
  instance.get('/:id', async (request) => `User ${request.params.id}`);
}
app.register(users, { prefix: '/users' });

// Excludes a route, by its config, and a plugin with all of its routes.
app.get('/health', { config: { trackUsage: false } }, async () => 'fine');

async function admin(instance) {
  instance.get('/usage', () => usage.getSum(sumRoutes, { period: 'day' }));
}
app.register(usage.exclude(admin), { prefix: '/admin' });

console.log(await app.listen({ port: Number(PORT), host: HOST }));

process.once('SIGTERM', () => app.close());
