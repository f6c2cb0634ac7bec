import { useEffect, useRef, useState } from 'preact/hooks';
import { Icon } from './icons.tsx';

/** Delay after the last keystroke. In ms. */
const PAUSE = 250;

interface SearchBoxProps {
  value: string;
  label: string;
  onSearch(text: string): void;
}

/** Text field that searches while the user types. */
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
