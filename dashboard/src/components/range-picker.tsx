import type { RangeName } from '../api/types.ts';
import { showRange } from '../format/dates.ts';
import { usePage } from '../state/context.ts';
import { firstPages, isNamed, RANGE_LABELS, type View } from '../state/view.ts';
import { Popover } from './popover.tsx';

/** Time range: a named one, or dates from and to. */
export function RangePicker() {
  const { view, change } = usePage();
  const choose = (range: View['range']) => change((before) => ({ ...firstPages(before), range }));
  return (
    <fieldset class="segments ranges">
      <legend class="hidden">Range</legend>
      {Object.entries(RANGE_LABELS).map(([name, label]) => (
        <button
          key={name}
          type="button"
          class="segment"
          aria-pressed={view.range === name}
          onClick={() => choose(name as RangeName)}
        >
          {label}
        </button>
      ))}
      <Popover
        class="segment"
        isPressed={!isNamed(view.range)}
        label={isNamed(view.range) ? 'Custom' : showRange(view.range)}
      >
        {(close) => (
          <Days
            range={view.range}
            onChoose={(dates) => {
              choose(dates);
              close();
            }}
          />
        )}
      </Popover>
    </fieldset>
  );
}

interface DaysProps {
  range: View['range'];
  onChoose(dates: { from: string; to: string }): void;
}

function Days({ range, onChoose }: DaysProps) {
  const dates = isNamed(range) ? { from: '', to: '' } : range;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const [from, to] = [String(data.get('from')), String(data.get('to'))];
    onChoose(from <= to ? { from, to } : { from: to, to: from });
  };
  return (
    <form class="days" onSubmit={submit}>
      <label class="field">
        From
        <input type="date" name="from" required defaultValue={dates.from} />
      </label>
      <label class="field">
        To
        <input type="date" name="to" required defaultValue={dates.to} />
      </label>
      <button type="submit" class="button primary">
        Show
      </button>
    </form>
  );
}
