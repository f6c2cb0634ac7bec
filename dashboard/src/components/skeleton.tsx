/** Skeleton of the page, shown until data is loaded. */
export function Skeleton() {
  return (
    <main class="page" aria-busy="true">
      <h1 class="hidden">Usage</h1>
      <p class="hidden" role="status">
        Loading
      </p>
      <div class="bone bone-head" />
      <div class="bone bone-chart" />
      <div class="panels">
        <div class="bone bone-panel" />
        <div class="bone bone-panel" />
        <div class="bone bone-panel" />
        <div class="bone bone-panel" />
      </div>
    </main>
  );
}

/** Skeleton rows of a table. */
export function BoneRows({ count }: { count: number }) {
  return (
    <div class="bones" aria-hidden="true">
      {Array.from({ length: count }, (_, index) => (
        <span key={index} class="bone bone-row" style={{ width: `${92 - ((index * 17) % 55)}%` }} />
      ))}
    </div>
  );
}
