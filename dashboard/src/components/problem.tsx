interface ProblemProps {
  error: Error;
  onRetry(): void;
}

/** Error message, shown in place of the result. */
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
