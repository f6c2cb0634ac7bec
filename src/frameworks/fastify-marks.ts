import { wrapMethod } from '../platform/wrap-method.ts';

/** Marked plugins that contain an instance, outermost first. Nested instances inherit them. */
export const PLUGINS: unique symbol = Symbol('track-usage Fastify plugins');
/** Original plugin of our wrapper function. */
const PLUGIN = Symbol('track-usage Fastify plugin');

/** Part of an instance that is relevant for marks. */
export interface Holder {
  [PLUGINS]?: readonly unknown[] | undefined;
}

type Done = (error?: unknown) => void;
type Plugin = ((this: unknown, instance: Holder, options: unknown, done: Done) => unknown) & {
  [PLUGIN]?: unknown;
};
type Register = (this: Holder | undefined, plugin: unknown, options?: unknown) => unknown;

/**
 * Tracks the routes of marked plugins from now on, because Fastify does not expose the plugin of a route.
 * Does not affect other plugins.
 */
export function watchPlugins(app: { register: unknown }, isMarked: (plugin: unknown) => boolean): void {
  wrapMethod<Register>(
    app,
    'register',
    (original) =>
      function (given, options) {
        const outer = this?.[PLUGINS];
        // A plugin may be the default export of a module.
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

/** Returns a wrapper of the plugin, whose instance records the plugins that contain it. */
function watched(plugin: Plugin, plugins: Holder[typeof PLUGINS]): Plugin {
  const wrapper: Plugin = function (instance, options, done) {
    const outer = instance[PLUGINS];
    instance[PLUGINS] = plugins;
    // Without encapsulation, the plugin shares the parent's instance while it runs.
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
  // Copies its name, its number of parameters, and the metadata of `fastify-plugin`.
  Object.defineProperties(wrapper, Object.getOwnPropertyDescriptors(plugin));
  wrapper[PLUGIN] = plugin[PLUGIN] ?? plugin;
  return wrapper;
}

const SKIP_OVERRIDE = Symbol.for('skip-override');
