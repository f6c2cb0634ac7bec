import { useState } from 'preact/hooks';
import { ApiError, fetchJson } from '../api/client.ts';
import type { Verification } from '../api/types.ts';
import { verificationText } from '../format/health.ts';
import { usePage } from '../state/context.ts';

/** Button that compares the summaries of yesterday with the records, and its result. */
export function VerifyButton() {
  const { site } = usePage();
  const [text, setText] = useState('');
  const [isBusy, setIsBusy] = useState(false);
  const verify = async () => {
    setIsBusy(true);
    setText('');
    try {
      const path = `verify?${new URLSearchParams({ site: site.site })}`;
      setText(verificationText(await fetchJson<Verification>(path)));
    } catch (error) {
      setText(error instanceof ApiError ? error.message : String(error));
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <>
      <button type="button" class="button" disabled={isBusy} onClick={verify}>
        {isBusy ? 'Verifying…' : 'Verify yesterday'}
      </button>
      <p role="status">{text}</p>
    </>
  );
}
