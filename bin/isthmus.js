#!/usr/bin/env node
// Starts the command line: compiled in a published package, from source in a checkout
// (Node strips types from its own project's files, never below node_modules).
import { existsSync } from 'node:fs';

const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(`isthmus needs Node.js 24 or newer; this is ${process.version}.`);
  process.exit(1);
}

// Lending starts a process: it is a program of its own, which the rest cannot reach.
const program = process.argv[2] === 'lend' ? 'lend' : 'cli';
const source = new URL(`../src/${program}.ts`, import.meta.url);
const compiled = new URL(`../dist/${program}.js`, import.meta.url);
await import(existsSync(source) ? source.href : compiled.href);
