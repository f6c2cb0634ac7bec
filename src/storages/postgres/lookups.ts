import { type Agent, agentName } from '../sql/agents.ts';
import { ENDPOINT_COLUMNS } from '../sql/columns.ts';
import type { CurrentSweep } from '../sql/current-sweep.ts';
import { type Endpoint, endpointName } from '../sql/endpoints.ts';
import type { LookUps } from '../sql/shared-rows.ts';
import type { Text } from '../sql/texts.ts';
import { int4s, int8s, texts, uuids } from './arrays.ts';
import type { Session } from './session.ts';
import type { Statements } from './statements.ts';

/** Finds rows and adds the missing ones, in one statement each. */
export function lookUpsOf(session: Session, statements: Statements, sweep: CurrentSweep): LookUps {
  async function namesOf(statement: string, values: unknown[], nameOf: (row: Found) => string) {
    const rows = await session.query<Found>(statement, [sweep.number, ...values]);
    // The driver returns large integers as text.
    return new Map(rows.map((row) => [nameOf(row), Number(row.id)]));
  }
  return {
    texts: (wanted: readonly Text[]) =>
      namesOf(
        statements.texts,
        [uuids(wanted.map(({ hash }) => hash)), texts(wanted.map(({ text }) => text))],
        ({ hash }) => hash!,
      ),
    endpoints: (wanted: readonly Endpoint[]) => {
      const columns = ENDPOINT_COLUMNS.map((_, n) => wanted.map(({ values }) => values[n]!));
      const credentials = columns.pop()!;
      return namesOf(
        statements.endpoints,
        [...columns.map((ids) => int8s(ids)), int4s(credentials)],
        endpointName,
      );
    },
    agents: (wanted: readonly Agent[]) =>
      namesOf(
        statements.agents,
        [
          int8s(wanted.map(({ string }) => string)),
          uuids(wanted.map(({ digest }) => digest)),
          texts(wanted.map(({ browser }) => browser)),
          texts(wanted.map(({ version }) => version)),
          texts(wanted.map(({ platform }) => platform)),
          wanted.map(({ bot }) => bot),
          texts(wanted.map(({ device }) => device)),
        ],
        ({ string, digest }) => agentName(string!, digest!),
      ),
  };
}

type Found = Readonly<Record<string, string>>;
