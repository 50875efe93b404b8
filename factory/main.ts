import { runProgram } from '../cli/program.ts';
import { leave, programArguments, watchOutput } from '../os/service/process.ts';
import { PROGRAM } from './program.ts';

watchOutput(PROGRAM.name);
leave(await runProgram(PROGRAM, programArguments()));
