import { runProgram } from '../os/cli.ts';
import { leave, programArguments } from '../os/process.ts';
import { PROGRAM } from './program.ts';

leave(await runProgram(PROGRAM, programArguments()));
