/** Where the run says what it does and what goes wrong. */
export interface Reporter {
  progress: (text: string) => void;
  problem: (text: string) => void;
}
