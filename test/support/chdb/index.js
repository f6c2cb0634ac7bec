/** What the native binding of the platform's package exports. */
module.exports = require(
  `@chdb/lib-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`,
);
