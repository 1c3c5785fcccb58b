/**
 * A GPU as its data sheet describes it: ceilings, not what software reaches.
 *
 * Read from `perf_model/gpus/<name>.json` (or a user's file of the same form); each file names its
 * source. Peaks are dense (no structured sparsity), on matrix units, accumulating in FP32.
 */

import type { Bytes } from '../units.js';

export interface GpuSpec {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly vendor: string;
  /** E.g. `hopper`, `ampere`, `cdna3`: what kernels and constants are shared by. */
  readonly architecture: string;
  readonly memoryBytes: Bytes;
  readonly memoryBytesPerS: number;
  /** FLOP/s by the precision the kernel multiplies in; absent where the part cannot. */
  readonly peak: {
    readonly bf16?: number;
    readonly fp16: number;
    readonly int8?: number;
    readonly fp8?: number;
    readonly fp4?: number;
  };
  readonly link: {
    readonly kind: 'nvlink' | 'nvlink-pair' | 'pcie' | 'infinity-fabric' | 'ethernet';
    /** Per direction and GPU. */
    readonly bytesPerS: number;
    /** Without a switch: how many peers it is shared out over, by wires of their own. */
    readonly meshPeers?: number;
    /** Whether a GPU can write to the memory of another over PCIe. Absent: it can. */
    readonly peerToPeer?: boolean;
  };
  /** To the memory of its host, per direction. Absent: `DEFAULT_HOST_LINK`. */
  readonly hostLink?: HostLink;
  readonly boardPowerW: number;
  readonly source: string;
}

export interface HostLink {
  readonly kind: 'pcie' | 'c2c';
  readonly bytesPerS: number;
}

/** PCIe 4.0 × 16, of which most servers have at least that much. */
export const DEFAULT_HOST_LINK: HostLink = { kind: 'pcie', bytesPerS: 32e9 };

export const hostLinkOf = ({ hostLink }: GpuSpec): HostLink => hostLink ?? DEFAULT_HOST_LINK;
