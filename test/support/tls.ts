import { readFileSync } from 'node:fs';

/** Key and certificate of localhost, only for tests. Valid until 2126. */
export const TLS = {
  key: readFileSync(new URL('localhost-key.pem', import.meta.url)),
  cert: readFileSync(new URL('localhost-cert.pem', import.meta.url)),
};
