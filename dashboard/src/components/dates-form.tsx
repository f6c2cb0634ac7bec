import type { Dates } from '../state/view.ts';

interface DatesFormProps {
  /** Initial dates; `null` for none. */
  dates: Dates | null;
  onChoose(dates: Dates): void;
}

/** Fields for two dates, both inclusive, in any order. */
export function DatesForm({ dates, onChoose }: DatesFormProps) {
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
        <input type="date" name="from" required defaultValue={dates?.from ?? ''} />
      </label>
      <label class="field">
        To
        <input type="date" name="to" required defaultValue={dates?.to ?? ''} />
      </label>
      <button type="submit" class="button primary">
        Show
      </button>
    </form>
  );
}
