/** The pages in the order in which the site lists them. A test compares the list with the files. */
export const SIDEBAR = [
  {
    text: 'Introduction',
    items: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Comparison', link: '/project/comparison' },
    ],
  },
  {
    text: 'Frameworks',
    collapsed: false,
    items: [
      { text: 'Overview', link: '/guides/frameworks' },
      { text: 'Express', link: '/guides/express' },
      { text: 'Fastify', link: '/guides/fastify' },
      { text: 'Koa', link: '/guides/koa' },
      { text: 'Hono', link: '/guides/hono' },
      { text: 'NestJS', link: '/guides/nestjs' },
      { text: 'node:http', link: '/guides/node-http' },
    ],
  },
  {
    text: 'Storages',
    collapsed: false,
    items: [
      { text: 'Choosing a storage', link: '/guides/storages' },
      { text: 'SQLite', link: '/guides/sqlite' },
      { text: 'PostgreSQL', link: '/guides/postgres' },
      { text: 'MySQL and MariaDB', link: '/guides/mysql' },
      { text: 'MongoDB', link: '/guides/mongo' },
      { text: 'Redis', link: '/guides/redis' },
      { text: 'ClickHouse', link: '/guides/clickhouse' },
      { text: 'Custom storages', link: '/guides/custom-storages' },
    ],
  },
  {
    text: 'Guides',
    collapsed: false,
    items: [
      { text: 'Dashboard', link: '/guides/dashboard' },
      { text: 'Custom summaries', link: '/guides/custom-summaries' },
      { text: 'Hook functions', link: '/guides/hooks' },
      { text: 'Access logs and streams', link: '/guides/access-logs' },
      { text: 'Reports', link: '/guides/reports' },
      { text: 'Privacy and GDPR', link: '/guides/privacy' },
      { text: 'Testing your app', link: '/guides/testing' },
      { text: 'Docker', link: '/guides/docker' },
      { text: 'Reverse proxies and CDNs', link: '/guides/reverse-proxies' },
      { text: 'Production checklist', link: '/guides/production' },
    ],
  },
  {
    text: 'Concepts',
    collapsed: false,
    items: [
      { text: 'How it works', link: '/concepts/how-it-works' },
      { text: 'Guarantees and limits', link: '/concepts/guarantees' },
      { text: 'Range queries', link: '/concepts/range-queries' },
    ],
  },
  {
    text: 'Operations',
    collapsed: false,
    items: [
      { text: 'Status and errors', link: '/operations/status' },
      { text: 'Processes', link: '/operations/processes' },
      { text: 'Deployment', link: '/operations/deployment' },
      { text: 'Security', link: '/operations/security' },
      { text: 'Backup', link: '/operations/backup' },
      { text: 'Maintenance', link: '/operations/maintenance' },
      { text: 'Troubleshooting', link: '/operations/troubleshooting' },
    ],
  },
  {
    text: 'Reference',
    collapsed: false,
    items: [
      { text: 'Options', link: '/reference/options' },
      { text: 'Summaries', link: '/reference/summaries' },
      { text: 'Command line', link: '/reference/cli' },
      { text: 'HTTP API', link: '/reference/http-api' },
      { text: 'Prometheus metrics', link: '/reference/metrics' },
      { text: 'Error codes', link: '/reference/error-codes' },
      { text: 'TypeScript API', link: '/reference/api/' },
    ],
  },
  {
    text: 'Project',
    collapsed: false,
    items: [
      { text: 'Architecture', link: '/architecture' },
      { text: 'Benchmarks', link: '/project/benchmarks' },
      { text: 'Versioning and upgrades', link: '/project/versioning' },
      { text: 'Migration from Flask-Track-Usage', link: '/project/migration' },
    ],
  },
];
