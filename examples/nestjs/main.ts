// npm install @nestjs/core @nestjs/common @nestjs/platform-express reflect-metadata rxjs track-usage
// npx tsc, then: node dist/main.js
import 'reflect-metadata';
import { Controller, Get, Module, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { sumRoutes, sumStatus, TrackUsage } from 'track-usage';
import { TrackUsageModule } from 'track-usage/nest';
import { SqliteStorage } from 'track-usage/sqlite';

const { PORT = '3000', HOST = '127.0.0.1' } = process.env;

@Controller()
class Pages {
  @Get()
  home() {
    return 'Hello!';
  }

  @Get('users/:id')
  user(@Param('id') id: string) {
    return `User ${id}`;
  }

  @Get('health')
  health() {
    return 'fine';
  }
}

@Controller('admin')
class Admin {
  constructor(private readonly usage: TrackUsage) {}

  @Get('usage')
  routes() {
    return this.usage.getSum(sumRoutes, { period: 'day' });
  }
}

@Module({
  imports: [
    TrackUsageModule.forRoot({
      storages: new SqliteStorage('usage.db', { hooks: [sumRoutes, sumStatus] }),
    }),
  ],
  controllers: [Pages, Admin],
})
class App {}

const app = await NestFactory.create(App, { logger: ['warn', 'error'] });

// Excludes requests by path.
const usage = app.get(TrackUsage);
usage.exclude('/health');
usage.exclude('/admin/*');

// On SIGTERM, the app is closed, and track-usage with it.
app.enableShutdownHooks();
await app.listen(Number(PORT), HOST);
console.log(await app.getUrl());
