import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from './icons.tsx';

/** After the last letter. In ms. */
const PAUSE = 250;

interface SearchBoxProps {
  value: string;
  label: string;
  onSearch(text: string): void;
}

/** Searches while it is typed in. */
export function SearchBox({ value, label, onSearch }: SearchBoxProps) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const search = useRef(onSearch);
  search.current = onSearch;
  useEffect(() => {
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => {
    if (text === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = text;
      search.current(text);
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <label class="search">
      <Icon name="search" />
      <input
        type="search"
        value={text}
        aria-label={label}
        placeholder="Search"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}
