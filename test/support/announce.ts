import { missingServices } from './services.ts';

/** Says before the tests which of them cannot run here. */
export default function setup(): void {
  const missing = missingServices();
  if (missing.length === 0) return;
  console.log(
    `Not installed, so their tests do not run: ${missing.map(({ name }) => name).join(', ')}. \`npm run services\` installs them.\n`,
  );
}
