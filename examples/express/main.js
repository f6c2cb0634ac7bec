// npm install express track-usage, then: node main.js
import express from 'express';
import { sumRoutes, sumStatus, TrackUsage } from 'track-usage';
import { SqliteStorage } from 'track-usage/sqlite';

const { PORT = '3000', HOST = '127.0.0.1' } = process.env;

const app = express();
const usage = new TrackUsage(app, new SqliteStorage('usage.db', { hooks: [sumRoutes, sumStatus] }));

app.get('/', (_request, response) => response.send('Hello!'));

const users = express.Router();
users.get('/:id', (request, response) => response.send(`User ${request.params.id}`));
app.use('/users', users);

// Excludes a route, by its handler, and a router with all of its routes.
app.get(
  '/health',
  usage.exclude((_request, response) => response.send('fine')),
);

const admin = express.Router();
admin.get('/usage', async (_request, response) => {
  response.json(await usage.getSum(sumRoutes, { period: 'day' }));
});
app.use('/admin', usage.exclude(admin));

const server = app.listen(Number(PORT), HOST, () => {
  console.log(`http://${HOST}:${server.address().port}`);
});

process.once('SIGTERM', () => server.close(() => usage.close()));
