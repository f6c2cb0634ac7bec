const { MemoryStorage } = require('track-usage/memory');
const { TrackUsage } = require('track-usage');
const { TrackUsageModule } = require('track-usage/nest');

test('the module injects the class of the app, not a copy', () => {
  const { HttpAdapterHost } = require('@nestjs/core');
  const { module, providers, exports } = TrackUsageModule.forRoot({ storages: new MemoryStorage() });
  expect(module).toBe(TrackUsageModule);
  expect(exports).toEqual([TrackUsage]);
  expect(providers.some(({ inject }) => inject[0] === HttpAdapterHost)).toBe(true);
});
