import { useState } from 'preact/hooks';
import { signIn } from '../api/client.ts';

/** True if the user followed an invalid link. */
const FROM_LINK = new URLSearchParams(location.search).has('link');

/** Form for the token. */
export function SignIn({ hint, onDone }: { hint: string; onDone(): void }) {
  const [problem, setProblem] = useState(FROM_LINK ? 'This link is invalid or was already used.' : '');
  const [isBusy, setIsBusy] = useState(false);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get('token');
    setIsBusy(true);
    setProblem('');
    try {
      await signIn(String(token));
      onDone();
    } catch (error) {
      setProblem((error as Error).message);
    } finally {
      setIsBusy(false);
    }
  };

  return (
    <main class="page alone">
      <form class="card sign-in" method="post" action="login" onSubmit={submit}>
        <h1>Usage</h1>
        <p class="muted">{hint}</p>
        <label class="field">
          Token
          <input
            name="token"
            type="password"
            required
            autocomplete="current-password"
            aria-invalid={problem !== ''}
            aria-describedby="sign-in-problem"
          />
        </label>
        <p id="sign-in-problem" class="bad" role="alert">
          {problem}
        </p>
        <button type="submit" class="button primary" disabled={isBusy}>
          Sign in
        </button>
      </form>
    </main>
  );
}
