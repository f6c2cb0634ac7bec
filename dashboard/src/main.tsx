import { render } from 'preact';
import { App } from './components/app.tsx';
import { Boundary } from './components/boundary.tsx';
import { applyTheme } from './state/theme.ts';

applyTheme();
render(
  <Boundary>
    <App />
  </Boundary>,
  document.getElementById('app')!,
);
