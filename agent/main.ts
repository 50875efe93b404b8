import { runProgram } from '../cli/program.ts';
import { leave, programArguments } from '../os/service/process.ts';
import { PROGRAM } from './program.ts';

leave(await runProgram(PROGRAM, programArguments()));
