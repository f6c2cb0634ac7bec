import { debianPostgres15, npmPostgres } from '../support/servers/postgres.ts';
import { isWanted } from '../support/services.ts';
import { postgresCases } from './postgres-cases.ts';

const isGiven = process.env.TEST_POSTGRES_URL !== undefined;

// The newest, and the oldest that is supported.
postgresCases(isGiven ? undefined : '18', npmPostgres);
if (!isGiven && isWanted('postgresql-15')) postgresCases('15', debianPostgres15);
