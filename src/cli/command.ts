/** What a command is: options and an action, added to the word it is called by. */

import type { Command } from 'commander';
import type { ExitCode, Io } from './io.js';

/** Adds options and the action of a command; the action calls `exit` unless all went well. */
export type DefineCommand = (command: Command, io: Io, exit: (code: ExitCode) => void) => void;
