// npm install hono @hono/node-server track-usage, then: node main.js
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { sumRoutes, sumStatus, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

const { PORT = '3000', HOST = '127.0.0.1' } = process.env;

const app = new Hono();
const usage = new TrackUsage(app, new SqliteStorage('usage.db', { hooks: [sumRoutes, sumStatus] }));

app.get('/', (context) => context.text('Hello!'));
app.get('/users/:id', (context) => context.text(`User ${context.req.param('id')}`));

// Excludes a route, by its handler, and a nested app with all of its routes.
app.get(
  '/health',
  usage.exclude((context) => context.text('fine')),
);

const admin = new Hono();
admin.get('/usage', async (context) => context.json(await usage.getSum(sumRoutes, { period: 'day' })));
app.route('/admin', usage.exclude(admin));

const server = serve({ fetch: app.fetch, port: Number(PORT), hostname: HOST }, ({ port }) => {
  console.log(`http://${HOST}:${port}`);
});

process.once('SIGTERM', () => server.close(() => usage.close()));
