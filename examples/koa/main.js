// npm install koa @koa/router track-usage, then: node main.js
import Router from '@koa/router';
import Koa from 'koa';
import { sumRoutes, sumStatus, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

const { PORT = '3000', HOST = '127.0.0.1' } = process.env;

const app = new Koa();
const usage = new TrackUsage(app, new SqliteStorage('usage.db', { hooks: [sumRoutes, sumStatus] }));

const router = new Router();
router.get('/', (context) => {
  context.body = 'Hello!';
});
router.get('/users/:id', (context) => {
  context.body = `User ${context.params.id}`;
});

// Excludes a route, by its handler, and a router with all of its routes.
router.get(
  '/health',
  usage.exclude((context) => {
    context.body = 'fine';
  }),
);

const admin = new Router({ prefix: '/admin' });
admin.get('/usage', async (context) => {
  context.body = await usage.getSum(sumRoutes, { period: 'day' });
});

app.use(router.routes());
app.use(usage.exclude(admin).routes());

const server = app.listen(Number(PORT), HOST, () => {
  console.log(`http://${HOST}:${server.address().port}`);
});

process.once('SIGTERM', () => server.close(() => usage.close()));
