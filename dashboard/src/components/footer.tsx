/** Name and version of the software. */
export function Footer({ version }: { version: string }) {
  return (
    <footer class="page footer">
      <p>track-usage {version}</p>
    </footer>
  );
}
