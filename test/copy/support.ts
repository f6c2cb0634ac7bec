/** Returns columns of a record that the writer derives, of which some are missing in each record. */
export function derivedColumns(n: number) {
  return {
    path: `/${n % 7}`,
    referrerHost: n % 3 === 0 ? 'example.org' : null,
    campaign: n % 5 === 0 ? 'mail / - / spring' : null,
    device: n % 2 === 0 ? 'mobile' : null,
    class: n % 3 === 1 ? 'page' : null,
    received: n % 6 === 0 ? n : null,
  };
}
