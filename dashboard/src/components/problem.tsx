interface ProblemProps {
  error: Error;
  onRetry(): void;
}

/** What went wrong, in the place where the answer would stand. */
export function Problem({ error, onRetry }: ProblemProps) {
  return (
    <div class="problem" role="alert">
      <p>{sentence(error.message)}</p>
      <button type="button" class="button" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
