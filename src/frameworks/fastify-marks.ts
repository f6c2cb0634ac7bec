import { wrapMethod } from '../platform/wrap-method.ts';

/** The marked plugins that an instance is in, outermost first; an instance in another inherits them. */
export const PLUGINS: unique symbol = Symbol('track-usage Fastify plugins');
/** The plugin that a function of ours stands for. */
const PLUGIN = Symbol('track-usage Fastify plugin');

/** An instance, as far as marks are concerned. */
export interface Holder {
  [PLUGINS]?: readonly unknown[] | undefined;
}

type Done = (error?: unknown) => void;
type Plugin = ((this: unknown, instance: Holder, options: unknown, done: Done) => unknown) & {
  [PLUGIN]?: unknown;
};
type Register = (this: Holder | undefined, plugin: unknown, options?: unknown) => unknown;

/**
 * From now on the routes of plugins that are marked are known: Fastify does not tell in which plugin a route was
 * made. Other plugins are left alone.
 */
export function watchPlugins(app: { register: unknown }, isMarked: (plugin: unknown) => boolean): void {
  wrapMethod<Register>(
    app,
    'register',
    (original) =>
      function (given, options) {
        const outer = this?.[PLUGINS];
        // A module's plugin may be its default export.
        const plugin = typeof given === 'function' ? given : (given as { default?: unknown } | null)?.default;
        if (typeof plugin !== 'function') return original().call(this, given, options);
        const registered = (plugin as Plugin)[PLUGIN] ?? plugin;
        const marked = isMarked(registered);
        if (!marked && !outer) return original().call(this, given, options);
        const plugins = marked ? [...(outer ?? []), registered] : outer;
        return original().call(this, watched(plugin as Plugin, plugins), options);
      },
  );
}

/** The plugin itself, as Fastify sees it, whose instance knows what it is in. */
function watched(plugin: Plugin, plugins: Holder[typeof PLUGINS]): Plugin {
  const stand: Plugin = function (instance, options, done) {
    const outer = instance[PLUGINS];
    instance[PLUGINS] = plugins;
    // Without an instance of its own the plugin has that of its surroundings, for as long as it runs.
    const isShared = (plugin as { [SKIP_OVERRIDE]?: unknown })[SKIP_OVERRIDE] === true;
    const leave = () => {
      if (isShared) instance[PLUGINS] = outer;
    };
    const result = plugin.call(this, instance, options, (error) => {
      leave();
      done(error);
    });
    if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') {
      (result as PromiseLike<unknown>).then(leave, leave);
    } else if (plugin.length < 3) leave();
    return result;
  };
  // Its name, the number of its parameters, and what `fastify-plugin` noted on it.
  Object.defineProperties(stand, Object.getOwnPropertyDescriptors(plugin));
  stand[PLUGIN] = plugin[PLUGIN] ?? plugin;
  return stand;
}

const SKIP_OVERRIDE = Symbol.for('skip-override');
