/**
 * Returns the joins that add the texts of a record `r`.
 * @param table Returns the qualified name of a table.
 */
export function textsOfRecord(table: (name: string) => string): string {
  const text = (alias: string, id: string) => `LEFT JOIN ${table('strings')} ${alias} ON ${alias}.id = ${id}`;
  return `
    JOIN ${table('sites')} sites ON sites.id = r.site
    JOIN ${table('endpoints')} e ON e.id = r.endpoint
    ${text('server', 'e.server_name')}
    ${text('method', 'e.method')}
    ${text('protocol', 'e.protocol')}
    ${text('route', 'e.route')}
    ${text('blueprint', 'e.blueprint')}
    ${text('url', 'r.url')}
    ${text('remote', 'r.remote_addr')}
    ${text('forwarded', 'r.forwarded_for')}
    LEFT JOIN ${table('agents')} agents ON agents.id = r.agent
    ${text('agent', 'agents.string')}
    ${text('language', 'r.language')}
    ${text('referrer', 'r.referrer')}
    ${text('username', 'r.username')}
    ${text('visitor', 'r.visitor')}
    ${text('country', 'r.country')}`;
}
