import fs from 'node:fs';
import module, { createRequire, syncBuiltinESMExports } from 'node:module';
import { expect, onTestFinished, test } from 'vitest';
import { defaultDatabase, hasDefaultGeo } from '../../src/writer/enrich/default-geo.ts';

/** Makes `require.resolve` and `statSync` fail with the given codes. */
function failWith({ resolve = 'MODULE_NOT_FOUND', stat = 'ENOENT' }): void {
  const { createRequire: create } = module;
  const { statSync } = fs;
  module.createRequire = (from) => {
    const original = create(from);
    const missing = () => {
      throw Object.assign(new Error('not resolved'), { code: resolve });
    };
    return Object.assign(original, { resolve: Object.assign(missing, { paths: original.resolve.paths }) });
  };
  (fs as { statSync: unknown }).statSync = () => {
    throw Object.assign(new Error(`${stat}: injected`), { code: stat });
  };
  syncBuiltinESMExports();
  onTestFinished(() => {
    module.createRequire = create;
    (fs as { statSync: unknown }).statSync = statSync;
    syncBuiltinESMExports();
  });
}

test('finds the package where Node resolves it', () => {
  const path = createRequire(import.meta.url).resolve(
    '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb',
  );
  expect(defaultDatabase()).toBe(path);
});

test.each(['ENOENT', 'ENOTDIR', 'ERR_ACCESS_DENIED'])('treats %s as not installed', (stat) => {
  failWith({ stat });
  expect(defaultDatabase()).toBeUndefined();
  expect(hasDefaultGeo()).toBe(false);
});

test.each([{ stat: 'EMFILE' }, { stat: 'EACCES' }, { resolve: 'ERR_INVALID_PACKAGE_CONFIG' }])(
  'reports $stat$resolve as unreadable',
  (errors) => {
    failWith(errors);
    expect(defaultDatabase).toThrow(expect.objectContaining({ code: 'GEO_UNREADABLE' }));
    // The writer thread says why.
    expect(hasDefaultGeo()).toBe(true);
  },
);
