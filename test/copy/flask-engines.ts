import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { MongoClient } from 'mongodb';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import { hasMongo, mongoServer } from '../support/servers/mongo.ts';
import { hasMysql, mysqlServer } from '../support/servers/mysql.ts';
import { postgresServer } from '../support/servers/postgres.ts';
import type { Row } from './flask-rows.ts';

/** A database with the tables of Flask-Track-Usage. */
export interface FlaskDatabase {
  /** URL for `--from`. */
  url: string;
  add(rows: readonly Row[]): Promise<void>;
  /** Deletes all but the first rows. */
  keep(rows: number): Promise<void>;
  /** Returns all rows. */
  all(): Promise<unknown>;
}

export interface FlaskServer {
  database(name: string): Promise<FlaskDatabase>;
  close(): Promise<void>;
}

export interface FlaskEngine {
  name: string;
  isWanted: boolean;
  start(): Promise<FlaskServer>;
  /** Error message for a wrong password, if the engine has passwords. */
  refusal?: RegExp;
}

/** Differences between the SQL engines. */
interface Dialect {
  quote: string;
  /** Returns the placeholder of the n-th value. */
  placeholder(n: number): string;
  id: string;
  datetime: string;
}

const SQLITE: Dialect = { quote: '"', placeholder: () => '?', id: 'INTEGER', datetime: 'DATETIME' };
const POSTGRES: Dialect = {
  quote: '"',
  placeholder: (n) => `$${n}`,
  id: 'SERIAL',
  datetime: 'TIMESTAMP WITHOUT TIME ZONE',
};
const MYSQL: Dialect = {
  quote: '`',
  placeholder: () => '?',
  id: 'INTEGER AUTO_INCREMENT',
  datetime: 'DATETIME',
};

/** Tables as SQLAlchemy creates them, and one summary table with one key per hour. */
function tables({ id, datetime, quote }: Dialect): string[] {
  return [
    `CREATE TABLE flask_usage (
      id ${id} NOT NULL PRIMARY KEY, url VARCHAR(128), ua_browser VARCHAR(16), ua_language VARCHAR(16),
      ua_platform VARCHAR(16), ua_version VARCHAR(16), blueprint VARCHAR(16), view_args VARCHAR(64), status INTEGER,
      remote_addr VARCHAR(24), xforwardedfor VARCHAR(24), ${quote}authorization${quote} BOOLEAN, ip_info VARCHAR(1024),
      path VARCHAR(32), speed FLOAT, datetime ${datetime}, username VARCHAR(128), track_var VARCHAR(128)
    )`,
    `CREATE TABLE flask_usage_url_hourly (
      date ${datetime} NOT NULL PRIMARY KEY, url VARCHAR(128), hits INTEGER, transfer INTEGER
    )`,
    `INSERT INTO flask_usage_url_hourly VALUES ('2017-03-26 00:00:00', 'http://localhost/item/7?x=1', 40, 4000)`,
  ];
}

type Query = (text: string, values?: unknown[]) => Promise<unknown>;

async function sqlDatabase(url: string, dialect: Dialect, query: Query): Promise<FlaskDatabase> {
  for (const text of tables(dialect)) await query(text);
  return {
    url: `flask+${url}`,
    async add(rows) {
      const columns = Object.keys(rows[0]!);
      for (let n = 0; n < rows.length; n += 1_000) {
        const values = rows.slice(n, n + 1_000).flatMap((row) => columns.map((column) => row[column]));
        const placeholders = values.map((_, i) => dialect.placeholder(i + 1));
        const tuples = Array.from({ length: values.length / columns.length }, (_, i) =>
          placeholders.slice(i * columns.length, (i + 1) * columns.length).join(),
        );
        await query(
          `INSERT INTO flask_usage (${columns.map((each) => dialect.quote + each + dialect.quote)}) VALUES (${tuples.join('),(')})`,
          values,
        );
      }
    },
    keep: async (rows) => void (await query(`DELETE FROM flask_usage WHERE id > ${rows}`)),
    all: () =>
      Promise.all(
        ['flask_usage', 'flask_usage_url_hourly'].map((table) => query(`SELECT * FROM ${table} ORDER BY 1`)),
      ),
  };
}

const sqlite: FlaskEngine = {
  name: 'SQLite',
  isWanted: true,
  async start() {
    const directory = mkdtempSync(join(tmpdir(), 'track-usage-'));
    const opened: DatabaseSync[] = [];
    return {
      async database(name) {
        const path = join(directory, name);
        const database = new DatabaseSync(path);
        opened.push(database);
        const plain = (value: unknown) =>
          (typeof value === 'boolean' ? Number(value) : value) as SQLInputValue;
        const query: Query = async (text, values = []) => database.prepare(text).all(...values.map(plain));
        return sqlDatabase(`sqlite:${path}`, SQLITE, query);
      },
      async close() {
        for (const each of opened) each.close();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
};

const postgres: FlaskEngine = {
  name: 'PostgreSQL',
  isWanted: true,
  refusal: /password authentication failed/,
  async start() {
    const server = await postgresServer();
    const clients: pg.Client[] = [];
    const open = async (url: string) => {
      const client = new pg.Client(url);
      clients.push(client);
      await client.connect();
      return client;
    };
    const names: string[] = [];
    const admin = await open(server.url());
    return {
      async database(name) {
        await admin.query(`CREATE DATABASE ${name}`);
        names.push(name);
        // Neither may matter.
        await admin.query(`ALTER DATABASE ${name} SET datestyle = 'German'`);
        await admin.query(`ALTER DATABASE ${name} SET timezone = 'Asia/Kathmandu'`);
        const url = server.url().replace(/\/[^/?]+(?=$|\?)/, `/${name}`);
        const client = await open(url);
        const query: Query = async (text, values = []) => (await client.query(text, values)).rows;
        return sqlDatabase(url, POSTGRES, query);
      },
      async close() {
        for (const client of clients.slice(1)) await client.end();
        for (const name of names) await admin.query(`DROP DATABASE ${name}`);
        await admin.end();
        await server.close();
      },
    };
  },
};

const mariadb: FlaskEngine = {
  name: 'MariaDB',
  isWanted: hasMysql,
  refusal: /Access denied/,
  async start() {
    const server = await mysqlServer();
    const admin = await createConnection(server.url('mysql'));
    const opened = [admin];
    return {
      async database(name) {
        await admin.query(`CREATE DATABASE ${name} CHARACTER SET latin1`);
        const connection = await createConnection(server.url(name));
        opened.push(connection);
        const query: Query = async (text, values = []) => (await connection.query(text, values))[0];
        return sqlDatabase(server.url(name), MYSQL, query);
      },
      async close() {
        for (const each of opened) await each.end();
        await server.close();
      },
    };
  },
};

const mongodb: FlaskEngine = {
  name: 'MongoDB',
  isWanted: hasMongo,
  async start() {
    const server = await mongoServer();
    const client = new MongoClient(server.url('admin'));
    const names: string[] = [];
    return {
      async database(name) {
        names.push(name);
        const db = client.db(name);
        const [records, sums] = ['usageTracking', 'usageTracking_sumUrl_hourly'].map((each) =>
          db.collection(each),
        ) as [ReturnType<typeof db.collection>, ReturnType<typeof db.collection>];
        await sums.insertOne({
          date: new Date(0),
          url: 'http://localhost/item/7?x=1',
          hits: 40,
          transfer: 4000,
        });
        return {
          url: `flask+${server.url(name)}`,
          add: async (rows) => void (await records.insertMany(rows.map(documentOf))),
          async keep(rows) {
            const rest = await records.find().sort({ _id: 1 }).skip(rows).toArray();
            await records.deleteMany({ _id: { $in: rest.map(({ _id }) => _id) } });
          },
          all: async () => [await records.find().toArray(), await sums.find().toArray()],
        };
      },
      async close() {
        for (const name of names) await client.db(name).dropDatabase();
        await client.close();
        await server.close();
      },
    };
  },
};

/** Returns a document as MongoEngineStorage writes it, without empty fields. */
function documentOf(row: Row): Record<string, unknown> {
  const { ua_browser, ua_language, ua_platform, ua_version, datetime, view_args, track_var, ...rest } = row;
  const all = {
    website: 'shop',
    ...rest,
    date: datetime && new Date(`${String(datetime).replace(' ', 'T')}Z`),
    view_args: plain(view_args),
    track_var: plain(track_var),
    user_agent: { browser: ua_browser, language: ua_language, platform: ua_platform, version: ua_version },
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && value !== undefined));
}

function plain(json: unknown): unknown {
  try {
    return JSON.parse(json as string);
  } catch {
    return {};
  }
}

export const ENGINES: readonly FlaskEngine[] = [sqlite, postgres, mariadb, mongodb];
