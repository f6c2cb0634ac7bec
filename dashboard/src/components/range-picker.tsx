import type { RangeName } from '../api/types.ts';
import { showRange } from '../format/dates.ts';
import { usePage } from '../state/context.ts';
import { datesOf, neighborOf, todayIn } from '../state/ranges.ts';
import { RANGE_KEYS } from '../state/shortcuts.ts';
import { isNamed, RANGE_LABELS, type View, withRange } from '../state/view.ts';
import { DatesForm } from './dates-form.tsx';
import { Icon } from './icons.tsx';
import { Popover } from './popover.tsx';

const NAMES = Object.keys(RANGE_LABELS) as RangeName[];

/** Time range: a named one, or dates from and to. Arrows go to the range before and after. */
export function RangePicker() {
  const { site, view, change } = usePage();
  const choose = (range: View['range']) => change((before) => withRange(before, range));
  const { range } = view;
  return (
    <div class="segments ranges">
      <Arrow direction={-1} onChoose={choose} />
      <Popover
        class="segment range"
        label={
          <>
            {isNamed(range) ? RANGE_LABELS[range] : showRange(range)}
            <Icon name="down" />
          </>
        }
        title="Time range"
      >
        {(close) => (
          <>
            <ul class="menu">
              {NAMES.map((name) => (
                <li key={name}>
                  <button
                    type="button"
                    class="menu-item"
                    aria-pressed={range === name}
                    onClick={() => {
                      choose(name);
                      close();
                    }}
                  >
                    {RANGE_LABELS[name]}
                    <kbd>{RANGE_KEYS[name]}</kbd>
                  </button>
                </li>
              ))}
            </ul>
            <DatesForm
              dates={datesOf(range, todayIn(site.timeZone))}
              onChoose={(dates) => {
                choose(dates);
                close();
              }}
            />
          </>
        )}
      </Popover>
      <Arrow direction={1} onChoose={choose} />
    </div>
  );
}

const ARROWS = {
  [-1]: { icon: 'left', label: 'Previous range' },
  1: { icon: 'right', label: 'Next range' },
} as const;

function Arrow({ direction, onChoose }: { direction: -1 | 1; onChoose(range: View['range']): void }) {
  const { site, view } = usePage();
  const next = neighborOf(view.range, direction, todayIn(site.timeZone));
  const { icon, label } = ARROWS[direction];
  return (
    <button
      type="button"
      class="segment arrow"
      aria-label={label}
      title={label}
      disabled={next === null}
      onClick={() => next !== null && onChoose(next)}
    >
      <Icon name={icon} />
    </button>
  );
}
