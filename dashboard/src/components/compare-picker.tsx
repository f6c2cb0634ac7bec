import { showRange } from '../format/dates.ts';
import { usePage } from '../state/context.ts';
import { COMPARE_LABELS, type Compare, isDates, nameOfCompare } from '../state/view.ts';
import { DatesForm } from './dates-form.tsx';
import { Icon } from './icons.tsx';
import { Popover } from './popover.tsx';

const OPTIONS: readonly [value: Exclude<Compare, object>, label: string][] = [
  [true, COMPARE_LABELS.true],
  ['weekdays', COMPARE_LABELS.weekdays],
  ['year', COMPARE_LABELS.year],
  [false, COMPARE_LABELS.false],
];

/** Period with which the range is compared: the previous one, the same dates a year ago, other dates, or none. */
export function ComparePicker() {
  const { view, change } = usePage();
  const { compare } = view;
  const choose = (next: Compare) => change((before) => ({ ...before, compare: next }));
  const name = isDates(compare) ? showRange(compare) : COMPARE_LABELS[nameOfCompare(compare)];
  return (
    <Popover
      class="button compare"
      isPressed={compare !== false}
      title={compare === false ? 'Not compared' : `Compared with: ${name}`}
      label={
        <>
          <span class="wide">
            Compare <Icon name="down" />
          </span>
          <span class="narrow">
            <Icon name="compare" />
            <span class="hidden">Compare</span>
          </span>
        </>
      }
    >
      {(close) => (
        <>
          <ul class="menu">
            {OPTIONS.map(([value, label]) => (
              <li key={label}>
                <button
                  type="button"
                  class="menu-item"
                  aria-pressed={compare === value}
                  onClick={() => {
                    choose(value);
                    close();
                  }}
                >
                  {label}
                </button>
              </li>
            ))}
          </ul>
          <DatesForm
            dates={isDates(compare) ? compare : null}
            onChoose={(dates) => {
              choose(dates);
              close();
            }}
          />
        </>
      )}
    </Popover>
  );
}
