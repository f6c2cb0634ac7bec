import { Component, type ComponentChildren } from 'preact';
import { Problem } from './problem.tsx';

interface State {
  error: Error | null;
}

/** Error boundary. A failing part of the page shows its error, and the other parts continue to work. */
export class Boundary extends Component<{ children: ComponentChildren }, State> {
  override state: State = { error: null };

  static override getDerivedStateFromError(error: Error): State {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <Problem error={error} onRetry={() => this.setState({ error: null })} />;
  }
}
