import type { Budget, Coverage, Expired } from '../api/types.ts';
import { budgetText, expiredText, gapText } from '../format/coverage.ts';

interface ExpiredNoteProps {
  expired: readonly Expired[];
  /** Expired data that another note of the page describes. */
  known?: readonly Expired[] | undefined;
}

/** Lists expired data that the displayed numbers lack, one per line. */
export function ExpiredNote({ expired, known = [] }: ExpiredNoteProps) {
  const knownTexts = known.map(expiredText);
  return <Notes lines={expired.map(expiredText).filter((text) => !knownTexts.includes(text))} />;
}

interface CoverageNoteProps extends Pick<ExpiredNoteProps, 'known'> {
  result: { coverage: Coverage; expired: readonly Expired[]; budget: Budget };
  /** Display name of the summary. */
  label: string;
}

/** Lists what the displayed numbers lack, one per line. Renders nothing if they are complete. */
export function CoverageNote({ result, label, known }: CoverageNoteProps) {
  const { expired, coverage, budget } = result;
  return (
    <>
      <ExpiredNote expired={expired} known={known} />
      <Notes lines={coverage.gaps.map((gap) => gapText(label, gap))} />
      {budget.reached && <Notes lines={[budgetText(label)]} />}
    </>
  );
}

function Notes({ lines }: { lines: readonly string[] }) {
  return (
    <>
      {lines.map((line) => (
        <p key={line} class="note">
          {line}
        </p>
      ))}
    </>
  );
}
