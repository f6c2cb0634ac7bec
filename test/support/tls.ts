import { readFileSync } from 'node:fs';

/** A key and certificate of localhost, for tests alone; valid until 2126. */
export const TLS = {
  key: readFileSync(new URL('localhost-key.pem', import.meta.url)),
  cert: readFileSync(new URL('localhost-cert.pem', import.meta.url)),
};
