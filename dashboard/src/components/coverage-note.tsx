import type { Coverage } from '../api/types.ts';
import { gapText } from '../format/coverage.ts';

interface CoverageNoteProps {
  coverage: Coverage;
  /** Returns the display name of a summary. */
  labelOf(summary: string): string;
}

/** Lists the gaps in the displayed numbers, one per line. Renders nothing if they are complete. */
export function CoverageNote({ coverage, labelOf }: CoverageNoteProps) {
  return (
    <>
      {coverage.gaps.map((gap) => (
        <p key={`${gap.summary} ${gap.from}`} class="note">
          {gapText(labelOf(gap.summary), gap)}
        </p>
      ))}
    </>
  );
}
