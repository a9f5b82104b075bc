"""Ways of aligning two slices that OpenCV offers, as one would write them down: no verdict, every answer counts.

All take (fixed, moving), return 3×3 moving to fixed or None where nothing could be fitted.
"""

import cv2
import numpy as np

KINDS = {
    "kaze": cv2.NORM_L2,
    "sift": cv2.NORM_L2,
    "akaze": cv2.NORM_HAMMING,
    "orb": cv2.NORM_HAMMING,
}


def scaled(image):
    """Bring a slice to 0..255 between its robust percentiles; missing data become the lowest value."""
    known = image[np.isfinite(image)]
    if known.size == 0:
        return np.zeros(image.shape, np.float32)
    low, high = np.percentile(known, (0.5, 99.5))
    share = (np.nan_to_num(image, nan=low) - low) / max(high - low, 1e-6)
    return (255 * np.clip(share, 0, 1)).astype(np.float32)


def finder(kind):
    return {"kaze": cv2.KAZE.create, "akaze": cv2.AKAZE.create, "sift": cv2.SIFT.create,
            "orb": lambda: cv2.ORB.create(nfeatures=1500)}[kind]()  # fmt: skip


def matched(fixed, moving, kind):
    """Detect on both, match with a ratio test; points of moving and of fixed."""
    detector = finder(kind)
    (one, first), (other, second) = (
        detector.detectAndCompute(scaled(image).astype(np.uint8), None) for image in (fixed, moving)
    )
    if first is None or second is None or len(one) < 2:
        return None
    pairs = cv2.BFMatcher(KINDS[kind]).knnMatch(second, first, k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < 0.8 * p[1].distance]
    if len(good) < 4:
        return None
    return (np.float32([other[m.queryIdx].pt for m in good]),
            np.float32([one[m.trainIdx].pt for m in good]))  # fmt: skip


def by_keypoints(kind, model, method=cv2.RANSAC):
    def align(fixed, moving):
        cv2.setRNGSeed(0)
        points = matched(fixed, moving, kind)
        if points is None:
            return None
        if model == "homography":
            return cv2.findHomography(*points, method, 3.0)[0]
        found = cv2.estimateAffinePartial2D(*points, method=method, ransacReprojThreshold=3.0)[0]
        return None if found is None else np.vstack([found, [0, 0, 1]])

    return align


def ecc(fixed, moving, start=None):
    """Maximize the enhanced correlation coefficient over an affine motion, coarse to fine."""
    pyramids = [[scaled(fixed)], [scaled(moving)]]
    while min(pyramids[0][-1].shape) >= 64:
        for levels in pyramids:
            levels.append(cv2.pyrDown(levels[-1]))
    begin = np.eye(3) if start is None else np.linalg.inv(start)  # fixed to moving
    if abs(begin[2, 0]) + abs(begin[2, 1]) > 0:
        return start
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    matrix = begin[:2].astype(np.float32)
    for index in range(len(pyramids[0]) - 1, -1, -1):
        step = np.float32(2**index)
        matrix[:, 2] /= step
        try:
            _, matrix = cv2.findTransformECC(pyramids[0][index], pyramids[1][index], matrix,
                                             cv2.MOTION_AFFINE, criteria, None, 5)  # fmt: skip
        except cv2.error:  # it did not converge
            return start
        matrix[:, 2] *= step
    whole = np.vstack([matrix.astype(np.float64), [0, 0, 1]])
    return np.linalg.inv(whole) if abs(np.linalg.det(whole)) > 1e-3 else None


def kaze_then_ecc(fixed, moving):
    start = by_keypoints("kaze", "similarity")(fixed, moving)
    if start is None or not 0.3 < np.linalg.det(start) < 3:
        return start
    return ecc(fixed, moving, start)


WAYS = {
    "KAZE homography": by_keypoints("kaze", "homography"),
    "KAZE hom. MAGSAC": by_keypoints("kaze", "homography", cv2.USAC_MAGSAC),
    "KAZE similarity": by_keypoints("kaze", "similarity"),
    "SIFT similarity": by_keypoints("sift", "similarity"),
    "AKAZE similarity": by_keypoints("akaze", "similarity"),
    "ORB similarity": by_keypoints("orb", "similarity"),
    "ECC affine": ecc,
    "KAZE, then ECC": kaze_then_ecc,
}
