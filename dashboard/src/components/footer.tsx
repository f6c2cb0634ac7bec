/** What made the page. */
export function Footer({ version }: { version: string }) {
  return (
    <footer class="page footer">
      <p>track-usage {version}</p>
    </footer>
  );
}
