import type { Coverage } from '../api/types.ts';
import { gapText } from '../format/coverage.ts';

interface CoverageNoteProps {
  coverage: Coverage;
  /** Returns what the reader knows a summary as. */
  labelOf(summary: string): string;
}

/** What the numbers shown leave out, one line for each gap; nothing where they are complete. */
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
