import { TrackUsageError } from '../../errors.ts';
import type { StorageReader, StorageWriter, WriterContext } from '../contract.ts';
import { orClose } from '../or-close.ts';
import { MysqlReader } from './reader.ts';
import { isReadable } from './schema.ts';
import type { Session } from './session.ts';
import { MysqlWriter } from './writer.ts';

export async function openWriter(session: Session, context: WriterContext): Promise<StorageWriter> {
  return orClose(
    () => session.close(),
    () => MysqlWriter.open(session, context),
  );
}

export async function openReader(session: Session): Promise<StorageReader> {
  return orClose(
    () => session.close(),
    async () => {
      if (!(await isReadable(session)))
        throw new TrackUsageError('STORAGE_NOT_FOUND', { value: session.label });
      return new MysqlReader(session);
    },
  );
}
